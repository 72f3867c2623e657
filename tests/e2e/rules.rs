//! What an app wants done with its requests.

mod actions;
mod conditions;
mod live;
mod places;
mod protocols;
