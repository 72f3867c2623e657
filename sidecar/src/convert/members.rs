//! What is in the log of members.

use std::sync::Arc;

use dynomesh_proto::v1::{self, members_entry};
use members::{Entry, Kind, Known, Listed, Listing, Node};
use prost::Message as _;

use super::Malformed;

/// Most members of a list, and most of those that are gone.
const MAX_MEMBERS: usize = 64;
/// Most of both together.
const MAX_KNOWN: usize = 2 * MAX_MEMBERS;
/// Longest name of a node, in bytes, as in the configuration.
const MAX_NAME: usize = 255;
/// Longest address, in bytes, as in the configuration.
const MAX_ADDRESS: usize = 300;

/// An entry from its bytes.
///
/// # Errors
/// What is wrong with them.
pub fn members_entry_from_bytes(bytes: &[u8]) -> Result<Entry, Malformed> {
    let entry = v1::MembersEntry::decode(bytes);
    let entry = entry.map_err(|error| Malformed::new("entry", error.to_string()))?;
    let kind = entry.kind;
    let kind = kind.ok_or_else(|| Malformed::new("entry", "is of no kind known here"))?;
    Ok(Entry {
        from: node("from", entry.from)?,
        kind: kind_from_proto(kind)?,
    })
}

/// An entry as protobuf.
pub fn members_entry_to_bytes(entry: &Entry) -> Vec<u8> {
    let entry = v1::MembersEntry {
        from: Some(node_to_proto(&entry.from)),
        kind: Some(kind_to_proto(&entry.kind)),
    };
    entry.encode_to_vec()
}

fn kind_from_proto(kind: members_entry::Kind) -> Result<Kind, Malformed> {
    Ok(match kind {
        members_entry::Kind::Join(join) => Kind::Join {
            address: text("join.address", join.address, MAX_ADDRESS)?,
            known: known(join.known, join.origin)?,
        },
        members_entry::Kind::Tick(tick) => Kind::Tick {
            number: tick.number,
            member: tick.member,
            listing: tick.list.map(listing).transpose()?,
        },
        members_entry::Kind::Suspect(suspect) => Kind::Suspect {
            whom: node("suspect.whom", suspect.whom)?,
            after: suspect.after,
        },
        members_entry::Kind::Found(found) => Kind::Found { after: found.after },
        members_entry::Kind::Yield(it) => Kind::Yield { epoch: it.epoch },
        members_entry::Kind::Leave(leave) => Kind::Leave { clear: leave.clear },
        members_entry::Kind::Forget(forget) => Kind::Forget {
            name: text("forget.name", forget.name, MAX_NAME)?,
        },
    })
}

fn kind_to_proto(kind: &Kind) -> members_entry::Kind {
    match kind {
        Kind::Join { address, known } => members_entry::Kind::Join(v1::MemberJoin {
            address: (**address).into(),
            known: known.names.iter().map(|name| (**name).into()).collect(),
            origin: known.origin,
        }),
        Kind::Tick {
            number,
            member,
            listing,
        } => members_entry::Kind::Tick(v1::MemberTick {
            number: *number,
            member: *member,
            list: listing.as_ref().map(listing_to_proto),
        }),
        Kind::Suspect { whom, after } => members_entry::Kind::Suspect(v1::MemberSuspect {
            whom: Some(node_to_proto(whom)),
            after: *after,
        }),
        Kind::Found { after } => members_entry::Kind::Found(v1::MemberFound { after: *after }),
        Kind::Yield { epoch } => members_entry::Kind::Yield(v1::MemberYield { epoch: *epoch }),
        Kind::Leave { clear } => members_entry::Kind::Leave(v1::MemberLeave { clear: *clear }),
        Kind::Forget { name } => members_entry::Kind::Forget(v1::MemberForget {
            name: (**name).into(),
        }),
    }
}

fn node(field: &str, node: Option<v1::MemberNode>) -> Result<Node, Malformed> {
    let node = node.ok_or_else(|| Malformed::new(field, "is missing"))?;
    Ok(Node {
        name: text(&format!("{field}.name"), node.name, MAX_NAME)?,
        life: node.life,
    })
}

fn node_to_proto(node: &Node) -> v1::MemberNode {
    v1::MemberNode {
        name: (*node.name).into(),
        life: node.life,
    }
}

fn text(field: &str, text: String, most: usize) -> Result<Arc<str>, Malformed> {
    match (1..=most).contains(&text.len()) {
        true => Ok(text.into()),
        false => Err(Malformed::new(field, format!("has 1 to {most} bytes"))),
    }
}

fn few(field: &str, count: usize, most: usize) -> Result<(), Malformed> {
    match count <= most {
        true => Ok(()),
        false => {
            let problem = format!("{count} members, {most} are allowed");
            Err(Malformed::new(field, problem))
        }
    }
}

fn known(names: Vec<String>, origin: u64) -> Result<Known, Malformed> {
    few("join.known", names.len(), MAX_KNOWN)?;
    let names = names.into_iter();
    let names = names.map(|name| text("join.known", name, MAX_NAME));
    Ok(Known {
        origin,
        names: names.collect::<Result<_, _>>()?,
    })
}

fn listing(list: v1::MemberList) -> Result<Listing, Malformed> {
    few("list.members", list.members.len(), MAX_MEMBERS)?;
    few("list.gone", list.gone.len(), MAX_MEMBERS)?;
    let members = list.members.into_iter().map(|member| {
        Ok(Listed {
            node: node("list.members.node", member.node)?,
            address: text("list.members.address", member.address, MAX_ADDRESS)?,
            wrote: member.wrote,
            again: member.again,
        })
    });
    let gone = list.gone.into_iter();
    let gone = gone.map(|it| Ok((text("list.gone.name", it.name, MAX_NAME)?, it.at)));
    Ok(Listing {
        read: list.read,
        epoch: list.epoch,
        origin: list.origin,
        members: members.collect::<Result<_, _>>()?,
        gone: gone.collect::<Result<_, _>>()?,
    })
}

fn listing_to_proto(listing: &Listing) -> v1::MemberList {
    let members = listing.members.iter().map(|member| v1::ListedMember {
        node: Some(node_to_proto(&member.node)),
        address: (*member.address).into(),
        wrote: member.wrote,
        again: member.again,
    });
    let gone = listing.gone.iter().map(|(name, at)| v1::GoneMember {
        name: (**name).into(),
        at: *at,
    });
    v1::MemberList {
        read: listing.read,
        epoch: listing.epoch,
        members: members.collect(),
        gone: gone.collect(),
        origin: listing.origin,
    }
}

#[cfg(test)]
mod tests;
