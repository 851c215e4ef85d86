"""Is it right, and is it fast, on this machine?"""
