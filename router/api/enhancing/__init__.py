"""Enhancement of image requests: prompts worded anew, pictures judged, the worst of them made once more.

Whatever of that cannot be had is left out and named in a warning; it is never an error. The one that there is, is the
judge's word that a picture must be shown to nobody. All of it happens within the request's deadline and limit of cost.
"""
