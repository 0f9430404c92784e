"""The files themselves, at signed addresses that work for a few minutes and need no credentials."""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from flint.reports.services.handing_out import ReportDownloadExpired, opened, refuse_if_expired, response_of


@require_safe
def report_file(request: HttpRequest, token: str) -> HttpResponseBase:
    """Hand out a file to whoever was given its address a moment ago."""
    download = opened(token)
    if download is None:
        return HttpResponse("This address is no longer good. Ask for a new one.", status=403, content_type="text/plain")
    try:
        refuse_if_expired(download)
    except ReportDownloadExpired as refusal:
        return HttpResponse(refusal.message, status=410, content_type="text/plain")
    return response_of(download)
