"""What was asked, who answered, what it cost: once per request, whatever its end."""
