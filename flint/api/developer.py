"""What a developer asks first: who am I?"""

from flint.api.fields import EnumField, IdField, ListOf, StrictString, TimestampField
from flint.api.serializers import Output
from flint.api.views import ApiView


class AuthContextOutput(Output):
    """Who is calling, where, and what they may do."""

    auth_type = EnumField(["api_key", "oauth"])
    environment = EnumField(["sandbox", "live"])
    merchant_id = IdField("mer")
    scopes = ListOf(StrictString())
    api_key_id = IdField("key", required=False)
    name = StrictString(required=False)
    sandbox_id = IdField("test", required=False)
    expires_at = TimestampField(required=False)


class AuthContext(ApiView):
    """Open to every key."""

    scopes = {"GET": None}
    outputs = {"GET": AuthContextOutput}
    names = {"GET": "get_auth_context"}
    tag = "Developer"

    def get(self, request):
        """Tell whose key this is, and what it may do."""
        key, environment = request.api_key, request.environment
        context = {
            "auth_type": "api_key",
            "environment": environment.kind,
            "merchant_id": environment.merchant_id,
            "scopes": key.scopes,
            "api_key_id": key.id,
            "name": key.name,
            "sandbox_id": environment.sandbox_id,
            "expires_at": key.expires_at,
        }
        return self.reply(AuthContextOutput(context))
