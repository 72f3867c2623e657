//! What became of the changes: failures as they come, and a summary.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use dynomesh_proto::v1::{Applied, ChangeError};
use tonic::Code;

use super::Sent;
use crate::{
    commands::progress::Progress,
    failure::{Failure, refused},
    lines::BadLine,
    output::{JsonArray, Output, count},
};

/// How often the count is shown: often enough, and not for every change.
const SHOW: Duration = Duration::from_millis(100);

pub(super) struct Report {
    out: Output,
    /// The results, for `--json`; `None` as well when they cannot be written.
    array: Option<JsonArray>,
    progress: Progress,
    shown: Option<Instant>,
    applied: usize,
    queued: usize,
    refused: usize,
    bad: usize,
    /// Why reading ended before the end.
    broken: Option<String>,
    /// Changes go on when the output does not: this is told at the end.
    unwritten: Option<Failure>,
}

impl Report {
    pub(super) fn new(out: Output) -> Self {
        Self {
            out,
            array: out.json.then(|| JsonArray::new(out)),
            progress: Progress::on_terminal(),
            shown: None,
            applied: 0,
            queued: 0,
            refused: 0,
            bad: 0,
            broken: None,
            unwritten: None,
        }
    }

    pub(super) fn answered(&mut self, sent: &Sent, applied: &Applied) {
        match &applied.error {
            None if applied.queued.is_empty() => self.applied += 1,
            None => self.queued += 1,
            Some(error) => {
                self.refused += 1;
                let why = refused(Code::from(error.code), &error.message);
                self.progress
                    .say(&format!("line {}: {}: {why}", sent.line, sent.app));
            }
        }
        self.push(applied);
        self.show();
    }

    /// A line that was not sent. It has its place among the results too.
    pub(super) fn bad(&mut self, bad: &BadLine) {
        self.bad += 1;
        self.progress.say(&bad.to_string());
        let error = ChangeError {
            code: Code::InvalidArgument.into(),
            message: bad.to_string(),
        };
        self.push(&Applied {
            error: Some(error),
            ..Default::default()
        });
    }

    pub(super) fn broken(&mut self, error: &io::Error) {
        self.broken = Some(error.to_string());
    }

    fn push(&mut self, applied: &Applied) {
        if let Some(array) = &mut self.array
            && let Err(failure) = array.push(applied)
        {
            self.array = None;
            self.unwritten = Some(failure);
        }
    }

    fn show(&mut self) {
        if self.shown.is_none_or(|at| at.elapsed() >= SHOW) {
            self.shown = Some(Instant::now());
            self.progress.show(&self.done());
        }
    }

    fn done(&self) -> String {
        format!(
            "{} applied, {}{} refused",
            count(self.applied, "change"),
            self.and_queued(),
            self.refused
        )
    }

    fn and_queued(&self) -> String {
        match self.queued {
            0 => String::new(),
            queued => format!("{queued} queued, "),
        }
    }

    /// The end, with what is known of each change.
    pub(super) fn end(
        mut self,
        ended: Result<(), Failure>,
        unanswered: &VecDeque<Sent>,
    ) -> Result<(), Failure> {
        if let Err(failure) = ended {
            let unknown = unknown(unanswered);
            let done = self.done();
            return Err(Failure::Unreachable(format!(
                "{failure}; {done}; {unknown}"
            )));
        }
        if let Some(array) = self.array.take() {
            array.end()?;
        }
        if let Some(why) = self.broken.take() {
            let done = self.done();
            return Err(Failure::Local(format!(
                "cannot read on: {why}; before that, {done}"
            )));
        }
        match self.unmade() {
            Some(unmade) => Err(unmade),
            None => self.summary(),
        }
    }

    fn unmade(&self) -> Option<Failure> {
        let unmade = self.refused + self.bad;
        let all = self.applied + self.queued + unmade;
        (unmade > 0).then(|| {
            Failure::Partly(format!(
                "{unmade} of {} not made ({} refused, {} not valid); the other {} are {}",
                count(all, "change"),
                self.refused,
                self.bad,
                self.applied + self.queued,
                match self.queued {
                    0 => "applied",
                    _ => "applied or queued",
                }
            ))
        })
    }

    fn summary(mut self) -> Result<(), Failure> {
        match self.unwritten.take() {
            Some(failure) => Err(failure),
            None if self.out.json => Ok(()),
            None => {
                let applied = count(self.applied, "change");
                let text = match self.queued {
                    0 => format!("{applied} applied"),
                    queued => format!("{applied} applied, {queued} queued"),
                };
                self.out.text(&text)
            }
        }
    }
}

/// What is not known after a failure.
fn unknown(unanswered: &VecDeque<Sent>) -> String {
    match (unanswered.front(), unanswered.back()) {
        (Some(first), Some(last)) => format!(
            "those of lines {} to {} may be applied or not, and none after them was sent",
            first.line, last.line
        ),
        _ => "none after them was sent".to_owned(),
    }
}
