"""One visitor: session, workspace, results, work beside the page."""
