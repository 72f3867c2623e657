//! Arbitrary sequences of inputs against a reference model.
//!
//! The model ([`reference`]) does everything the slow and obvious way. Wherever
//! the mesh may choose among equals, the model takes over its choice, having
//! checked that it is among the best. What it expects and what the mesh says must
//! be the same, in order; after each step so must be every figure that both have,
//! and the mesh's own [`mesh::Mesh::check_invariants`].
#![allow(clippy::unwrap_used)]

mod hints;
mod reference;
mod run;
mod steps;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("MESH_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(400),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_mesh_does_what_the_model_does(plan in steps::plan()) {
        run::run(&plan);
    }
}
