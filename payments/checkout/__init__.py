"""The hosted page, where a buyer pays one session's order. It works without JavaScript, and decides nothing itself."""
