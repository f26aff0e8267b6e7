"""Who is asked, and in which order: rules, predictions, plans, health and the attempt loop."""
