//! What goes over the wire, checked with a client that knows nothing but TCP, and what the ledger says about it.
// The attribute tells the lints that all of this, helpers too, is test code.
#[cfg(test)]
mod abort;
#[cfg(test)]
mod answers;
#[cfg(test)]
mod broadcast;
#[cfg(test)]
mod client;
#[cfg(test)]
mod generation;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod meter;
#[cfg(test)]
mod nbp;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod streams;
