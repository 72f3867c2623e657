//! All rules of an app, and what they come to.

use regex::bytes::Captures;

use crate::{
    action::{Action, Edit, Effect, End, Op},
    condition::{Condition, Test, What},
    glance::{Glance, Sign},
    limits::{MAX_BYTES, MAX_LINE, MAX_LINES, MAX_RULES},
    parse,
    pattern::Pattern,
    problem::Problem,
    request::Request,
};

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Of the text, from 1.
    pub(crate) line: u32,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) actions: Vec<Action>,
    /// Some value has a part of the path in it.
    pub(crate) captures: bool,
}

/// The rules of an app.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Of each. Close together, as these are looked at for every request.
    signs: Vec<Sign>,
}

/// What rules come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Headers to be changed, in this order.
    pub edits: Vec<Edit>,
    /// What becomes of the request.
    pub end: Option<End>,
    /// The line of the rule that ended it.
    pub line: u32,
}

impl RuleSet {
    /// Reads rules, one a line. Empty lines and those that begin with `#` say
    /// nothing.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse<L: AsRef<str>>(lines: &[L]) -> Result<Self, Problem> {
        if lines.len() > MAX_LINES {
            let what = format!("there are more than {MAX_LINES} lines");
            return Err(Problem::at(1, what).on(MAX_LINES + 1));
        }
        let mut rules = Vec::new();
        let mut bytes = 0;
        for (number, line) in (1..).zip(lines) {
            let line = line.as_ref();
            bytes += line.len() + 1;
            let problem = |what: String| Problem::at(1, what).on(number);
            if line.len() > MAX_LINE {
                return Err(problem(format!("a line has at most {MAX_LINE} bytes")));
            }
            if bytes > MAX_BYTES {
                return Err(problem(format!("all lines have at most {MAX_BYTES} bytes")));
            }
            if let Some(column) = line.chars().position(|c| c.is_control() && c != '\t') {
                return Err(Problem::at(column + 1, "a control character").on(number));
            }
            if is_silent(line) {
                continue;
            }
            if rules.len() == MAX_RULES {
                return Err(problem(format!("an app has at most {MAX_RULES} rules")));
            }
            let rule = parse::rule(line).map_err(|problem| problem.on(number))?;
            rules.push(Rule {
                line: number as u32,
                ..rule
            });
        }
        let signs = rules.iter().map(|rule| Sign::of(&rule.conditions));
        let signs = signs.collect();
        Ok(Self { rules, signs })
    }

    /// There is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// What the rules come to for this request.
    pub fn judge(&self, request: &impl Request) -> Verdict {
        let mut verdict = Verdict::default();
        let glance = Glance::of(request);
        let may_hold = self.rules.iter().zip(&self.signs).enumerate();
        let may_hold = may_hold.filter(|(_, (_, sign))| glance.has(sign));
        for (number, (rule, _)) in may_hold {
            if !rule.conditions.iter().all(|c| c.holds(request)) {
                continue;
            }
            let captures = rule.captured(request);
            for (at, action) in rule.actions.iter().enumerate() {
                match action.effect(request, captures.as_ref()) {
                    Effect::Edit(side, made) => verdict.edits.push(Edit {
                        side,
                        rule: number as u32,
                        action: at as u32,
                        made,
                    }),
                    Effect::Nothing => {}
                    Effect::End(end) => {
                        verdict.end = Some(end);
                        verdict.line = rule.line;
                        return verdict;
                    }
                }
            }
        }
        verdict
    }
}

impl RuleSet {
    /// How an edit that these rules came to changes a header. `None`: it is of others.
    pub fn op<'a>(&'a self, edit: &'a Edit) -> Option<Op<'a>> {
        let rule = self.rules.get(edit.rule as usize)?;
        rule.actions.get(edit.action as usize)?.op(edit)
    }
}

impl Rule {
    fn captured<'r>(&self, request: &'r impl Request) -> Option<Captures<'r>> {
        match self.captures {
            true => path_pattern(&self.conditions)?.captures(request.path()),
            false => None,
        }
    }
}

/// Whose groups `$1` and so on are.
pub(crate) fn path_pattern(conditions: &[Condition]) -> Option<&Pattern> {
    conditions
        .iter()
        .find_map(|condition| match &condition.what {
            What::Path(Test::Matches(pattern)) if !condition.not => Some(pattern),
            _ => None,
        })
}

/// A line that says nothing.
fn is_silent(line: &str) -> bool {
    let line = line.trim_ascii_start();
    line.is_empty() || line.starts_with('#')
}

#[cfg(test)]
mod tests;
