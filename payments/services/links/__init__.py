"""Links: what buyers may order by themselves, and the address by which they pay what an order still owes."""
