"""The addresses of orders and customers."""

from django.urls import path

from orders.api import explanation, views

urlpatterns = [
    path("v1/orders", views.OrderCollection.as_view()),
    path("v1/orders/<str:order_id>", views.OrderView.as_view()),
    path("v1/orders/<str:order_id>/explanation", explanation.OrderExplanation.as_view()),
    path("v1/orders/<str:order_id>/close", views.OrderClosing.as_view()),
    path("v1/orders/<str:order_id>/line-items", views.LineItemCollection.as_view()),
    path("v1/orders/<str:order_id>/line-items/<str:order_line_item_id>", views.LineItemView.as_view()),
    path("v1/orders/<str:order_id>/charges", views.ChargeCollection.as_view()),
    path("v1/orders/<str:order_id>/charges/<str:order_charge_id>", views.ChargeView.as_view()),
    path("v1/orders/<str:order_id>/discounts", views.DiscountCollection.as_view()),
    path("v1/orders/<str:order_id>/discounts/remove", views.DiscountRemoval.as_view()),
    path("v1/orders/<str:order_id>/discounts/reprice", views.DiscountRepricing.as_view()),
    path("v1/orders/<str:order_id>/activities", views.ActivityCollection.as_view()),
    path("v1/customers", views.CustomerCollection.as_view()),
    path("v1/customers/<str:customer_id>", views.CustomerView.as_view()),
]
