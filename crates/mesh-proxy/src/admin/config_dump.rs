//! `/config_dump`: the configuration as it was received.
//!
//! The bytes of each resource are printed as they came, never a re-encoding of what we made of them, so that the page
//! also shows what we ignore. Resources are printed one at a time while the page is sent: it can be tens of megabytes.

mod document; //     the page, written piece by piece
mod held; //         what is in force, what waits, what was refused
mod inline_route; // route tables that stand inside listeners
mod mask; //         which fields are wanted
mod section; //      the messages of the page, one for each kind

use super::{
    Facts,
    descriptor::Descriptors,
    query::Query,
    reply::{Reply, pretty},
};
use document::{Document, Matching};
use http::StatusCode;
use mask::Mask;
use section::{Section, sections};
use std::sync::Arc;

/// The page, an `envoy.admin.v3.ConfigDump`: all of it, or with `resource` the elements of one field.
pub(super) fn answer(facts: &Arc<Facts>, query: &Query) -> Reply {
    if query.has("name_regex") {
        return Reply::bad_request("name_regex is not offered\nhint: resource and mask are");
    }
    let sections = sections(facts, query.has("include_eds"));
    let mask = query.get("mask").map(Mask::new).unwrap_or_default();
    match query.get("resource") {
        Some(field) => elements(field, sections, mask),
        None => Reply::json_writer(move |out| {
            let descriptors = Descriptors::load();
            pretty(
                &Document {
                    sections: &sections,
                    mask: &mask,
                    descriptors: &descriptors,
                },
                out,
            )
        }),
    }
}

fn elements(field: &str, sections: Vec<Section>, mask: Mask) -> Reply {
    if field == section::BOOTSTRAP {
        let why =
            format!("{field} is not a repeated field. Use ?mask={field} to get only this field");
        return Reply::bad_request(why);
    }
    let list = sections
        .into_iter()
        .find_map(|section| section.into_list(field));
    match list {
        None => Reply::refuse(
            StatusCode::NOT_FOUND,
            format!("{field} not found in config dump"),
        ),
        Some(list) => Reply::json_writer(move |out| {
            let descriptors = Descriptors::load();
            pretty(
                &Matching {
                    list: &list,
                    mask: &mask,
                    descriptors: &descriptors,
                },
                out,
            )
        }),
    }
}

#[cfg(test)]
mod tests;
