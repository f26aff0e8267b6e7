"""Google's native wire, `generateContent`: translation both ways and the adapter."""
