package demo

// Domain is the estate's own; Recording shows host names under it.
const Domain = "estate.example"
