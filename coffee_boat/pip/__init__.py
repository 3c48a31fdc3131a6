"""All that is known of pip's packages: choosing, fetching, building, making them into chunks."""
