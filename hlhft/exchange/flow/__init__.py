"""Order flow: what makes a market of an exchange that has no visitors."""
