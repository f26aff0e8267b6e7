"""`turnout eval`: what the score of a ladder is worth on prompts of which both models' answers are known."""
