"""Files as the desks of users have them, by the situation in which they were made, and what ferflow makes of them."""
