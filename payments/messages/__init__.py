"""What buyers are written to about payments: receipts, failures and pay links, and the receipt as a page."""
