"""Tasks: hints that there is a message to send. The rows are the truth, and the sweep finds what a lost task left."""

from celery import shared_task


@shared_task(name="flint.messages.tasks.send_message", acks_late=True)
def send_message(*, message_id: str) -> None:
    from flint.messages.sending import send

    send(message_id)


@shared_task(name="flint.messages.tasks.send_messages")
def send_messages() -> int:
    from flint.messages.sending import send_due

    return send_due()


@shared_task(name="flint.messages.tasks.erase_addresses", acks_late=True)
def erase_addresses() -> int:
    from flint.messages.sending import erase_addresses

    return erase_addresses()
