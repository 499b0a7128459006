"""The provider's side of the wire: what an answer or a refusal looks like in each dialect. Pure."""
