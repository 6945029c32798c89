"""What a client does to its update before anyone sees it, and what that costs in epsilon."""
