"""Where processors post their notices. Nothing is decided here: verify, store, answer."""

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from flint.merchants.models import Environment
from payments import inbound
from payments.processors.base import BadSignature


@csrf_exempt
@require_POST
def receive_notice(request: HttpRequest, processor: str, environment_id: str) -> JsonResponse:
    """
    Take in a processor's notice: 200 once it is stored, also for a repeat.

    400 for a body that its signature does not cover, 404 for an environment or processor that is not here.
    """
    if not Environment.objects.filter(id=environment_id).exists():
        return JsonResponse({"error": "no such environment"}, status=404)
    try:
        inbound.receive(
            processor_name=processor,
            environment_id=environment_id,
            headers=request.headers,
            body=request.body,
            at=timezone.now(),
        )
    except RequestDataTooBig:
        return JsonResponse({"error": "too large"}, status=413)
    except LookupError:
        return JsonResponse({"error": "no such processor"}, status=404)
    except BadSignature:
        return JsonResponse({"error": "signature does not match"}, status=400)
    return JsonResponse({"received": True})
