/** Outcomes on the wire, for the OpenAPI document; outcome.ts is what checks them. */
