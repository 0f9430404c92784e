"""What is said of a try that failed, to whoever has to put it right."""

from dataclasses import dataclass

from flint.events.models.deliveries import Diagnosis


@dataclass(frozen=True)
class Explanation:
    """The contract's category of a failure, what it means, and what helps."""

    category: str
    summary: str
    action: str
    retryable: bool = True


EXPLANATIONS = {
    Diagnosis.TIMEOUT: Explanation(
        "webhook_timeout",
        "The endpoint did not answer within 10 seconds.",
        "Answer as soon as the message is stored, and work on it afterwards.",
    ),
    Diagnosis.DNS_ERROR: Explanation(
        "webhook_dns",
        "The name of the endpoint's host could not be looked up.",
        "Check the address of the endpoint and the name's records.",
    ),
    Diagnosis.TLS_ERROR: Explanation(
        "webhook_tls",
        "No secure connection to the endpoint could be made.",
        "Check the certificate: valid for the name, not expired, sent with its chain.",
    ),
    Diagnosis.CONNECTION_ERROR: Explanation(
        "webhook_connection",
        "The endpoint could not be reached, or broke off before it answered.",
        "Check that it runs, and that no firewall keeps us out.",
    ),
    Diagnosis.BLOCKED_TARGET: Explanation(
        "webhook_blocked_target",
        "The endpoint's address leads to a private network or to a port that is not called.",
        "Use a public address on port 443 or 8443, or have this install's networks named in its settings.",
        retryable=False,
    ),
    Diagnosis.REQUEST_ERROR: Explanation(
        "webhook_request",
        "The message could not be sent, or nobody knows whether it was.",
        "Send it again; the endpoint knows a repeated message by its id.",
    ),
}
REFUSED = Explanation(
    "webhook_http_4xx",
    "The endpoint refused the message.",
    "Check its address, and that it verifies the signature over the raw body with the present secret.",
)
BROKEN = Explanation("webhook_http_5xx", "The endpoint failed.", "Look into the endpoint's own log.")
ELSEWHERE = Explanation(
    "webhook_delivery",
    "The endpoint answered neither yes nor no; redirects are not followed.",
    "Enter the address that it leads to as the endpoint's.",
)


def explanation_of(diagnosis: str, status_code: int | None) -> Explanation | None:
    """Return what is to be said of a failure; None where there was none."""
    if not diagnosis:
        return None
    if diagnosis != Diagnosis.HTTP_ERROR:
        return EXPLANATIONS[Diagnosis(diagnosis)]
    if status_code is not None and 400 <= status_code < 500:
        return REFUSED
    return BROKEN if status_code is not None and status_code >= 500 else ELSEWHERE
