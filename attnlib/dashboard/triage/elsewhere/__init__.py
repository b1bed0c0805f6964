"""Results of another evaluation beside the model's own: brought, confirmed, compared, taken."""
