"""Addresses of reports: the API, and the files that its signed addresses lead to."""

from django.urls import path

from flint.reports import api, files

urlpatterns = [
    path("v1/reports", api.ReportCollection.as_view()),
    path("v1/reports/<str:report_id>", api.ReportView.as_view()),
    path("v1/report-downloads/<str:report_download_id>", api.ReportDownloadView.as_view()),
    path("report-files/<str:token>", files.report_file, name="report-file"),
]
