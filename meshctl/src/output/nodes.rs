//! The sidecars that are members.

use dynomesh_proto::v1::{MemberStanding, MemberStatus, MembershipStatus, NodesResponse};

use super::{Table, cell, longest, plain};

/// How this sidecar stands to them, and who they are.
pub(crate) fn nodes_details(nodes: &NodesResponse, colour: bool) -> String {
    let membership = nodes.membership.clone().unwrap_or_default();
    let mut text = plain(&membership_fact(&membership)).into_owned();
    text.push('\n');
    if !nodes.members.is_empty() {
        text.push('\n');
        text.push_str(&table(&nodes.members, colour));
        text.push('\n');
    }
    if !nodes.gone.is_empty() {
        let names = plain(&nodes.gone.join(", ")).into_owned();
        text.push_str(&format!(
            "\ngone, and may hold something still: {names} (dead: meshctl nodes forget NAME)\n"
        ));
    }
    text
}

/// What it is, in one line.
pub(crate) fn membership_fact(membership: &MembershipStatus) -> String {
    let MembershipStatus {
        epoch,
        lease_ms,
        members,
        may_grant,
        ..
    } = membership;
    let fact = match membership.standing() {
        MemberStanding::None => "takes no part".into(),
        MemberStanding::Joining => "joining".into(),
        MemberStanding::Left => "has left".into(),
        MemberStanding::Unspecified => "unknown".into(),
        MemberStanding::Member => format!(
            "one of {members}, epoch {epoch}; decides for {may_grant} of 256 shards, \
             for {lease_ms} ms more"
        ),
    };
    match &*membership.problem {
        "" => fact,
        problem => format!("{fact}: {problem}"),
    }
}

fn table(members: &[MemberStatus], colour: bool) -> String {
    let headings = ["NODE", "ADDRESS", ">SHARDS", ">GRANTS", ">HEARD"];
    let mut table = Table::new(&headings, colour);
    for member in members {
        let grants = match member.own {
            true => member.may_grant.to_string(),
            false => String::new(),
        };
        table.row([
            cell(&member.name),
            cell(&member.address),
            cell(member.shards.to_string()),
            cell(grants),
            cell(member.age_ms.map(longest).unwrap_or_default()),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership(standing: MemberStanding, problem: &str) -> MembershipStatus {
        MembershipStatus {
            standing: standing.into(),
            problem: problem.into(),
            epoch: 42,
            lease_ms: 900,
            members: 2,
            may_grant: 120,
            skipped: 0,
        }
    }

    #[test]
    fn members_are_rows_below_what_this_one_is() {
        let member = |name: &str, own, age_ms| MemberStatus {
            name: name.into(),
            address: format!("{name}.test:7443"),
            own,
            shards: 128,
            may_grant: 120,
            age_ms,
            ..Default::default()
        };
        let nodes = NodesResponse {
            membership: Some(membership(MemberStanding::Member, "")),
            members: vec![member("a", true, Some(12)), member("b", false, None)],
            may_grant: Vec::new(),
            gone: vec!["c".into()],
        };
        let want = "\
one of 2, epoch 42; decides for 120 of 256 shards, for 900 ms more

NODE  ADDRESS      SHARDS  GRANTS  HEARD
a     a.test:7443     128     120   12ms
b     b.test:7443     128

gone, and may hold something still: c (dead: meshctl nodes forget NAME)
";
        assert_eq!(nodes_details(&nodes, false), want);
    }

    #[test]
    fn who_is_no_member_says_why() {
        let fact = |standing, problem| membership_fact(&membership(standing, problem));
        let alone = fact(MemberStanding::None, "there is no broker-url");
        assert_eq!(alone, "takes no part: there is no broker-url");
        assert_eq!(fact(MemberStanding::Joining, ""), "joining");
        assert!(fact(MemberStanding::Member, "refused").ends_with("more: refused"));
    }
}
