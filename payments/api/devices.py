"""The header by which a caller names the device of a buyer who is there to act."""

import re
from typing import Any

from flint.errors import InvalidInput

HEADER = "Flint-Buyer-Device"
DEVICE = re.compile(r"[a-f0-9]{32}")


class InvalidBuyerDevice(InvalidInput):
    message = f"The header '{HEADER}' is 32 lower-case hexadecimal digits."


def buyer_device(request: Any) -> str:
    """
    Return the device that the buyer is at, or nothing if none was named.

    :raises InvalidBuyerDevice: if it has another form.
    """
    device = request.headers.get(HEADER)
    if device is None:
        return ""
    if not DEVICE.fullmatch(device):
        raise InvalidBuyerDevice(param=HEADER)
    return device
