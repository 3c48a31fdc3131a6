"""All that is known of conda: channels, choosing packages, making them into chunks."""
