//! From lines to the stream of changes.

use std::{io, sync::Arc};

use dynomesh_proto::v1::Change;
use futures_util::{Stream, stream};
use tokio::sync::{Semaphore, mpsc};

use crate::lines::{BadLine, Line};

/// Most changes sent and not answered.
pub(super) const WINDOW: usize = 256;

/// What became of a line on this side.
pub(super) enum Note {
    Sent(Sent),
    /// Not sent: it is no change. The lines after it are.
    Bad(BadLine),
    /// There are no more lines, because reading failed.
    Broken(io::Error),
}

/// A change that is on its way.
pub(super) struct Sent {
    pub(super) line: u64,
    pub(super) app: String,
}

/// The lines that are changes, no more at once than the window lets through;
/// each is told before it is sent.
pub(super) fn outgoing(
    lines: mpsc::Receiver<io::Result<Line>>,
    tell: mpsc::Sender<Note>,
    window: Arc<Semaphore>,
) -> impl Stream<Item = Change> + Send + 'static {
    stream::unfold((lines, tell, window), |(mut lines, tell, window)| async {
        loop {
            let (note, change) = match lines.recv().await? {
                Ok(Ok((line, change))) => {
                    // Whoever answers gives the permit back.
                    window.acquire().await.ok()?.forget();
                    (
                        Note::Sent(Sent {
                            line,
                            app: change.app.clone(),
                        }),
                        Some(change),
                    )
                }
                Ok(Err(bad)) => (Note::Bad(bad), None),
                Err(error) => (Note::Broken(error), None),
            };
            // Nobody listens any more: the exchange has failed.
            tell.send(note).await.ok()?;
            if let Some(change) = change {
                return Some((change, (lines, tell, window)));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    fn line(n: u64) -> io::Result<Line> {
        Ok(Ok((
            n,
            Change {
                app: format!("a{n}"),
                ..Default::default()
            },
        )))
    }

    #[tokio::test]
    async fn no_more_is_sent_than_the_window_lets_through() {
        let (give, lines) = mpsc::channel(8);
        for n in 1..=3 {
            assert!(give.send(line(n)).await.is_ok());
        }
        let (tell, mut notes) = mpsc::channel(8);
        let window = Arc::new(Semaphore::new(2));
        let mut changes = Box::pin(outgoing(lines, tell, Arc::clone(&window)));
        assert!(changes.next().await.is_some());
        assert!(changes.next().await.is_some());
        let third = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(third, changes.next()).await.is_err());
        assert!(matches!(
            notes.recv().await,
            Some(Note::Sent(Sent { line: 1, .. }))
        ));
    }

    #[tokio::test]
    async fn a_bad_line_does_not_stop_the_ones_after_it() {
        let (give, lines) = mpsc::channel(8);
        let bad = crate::lines::Lines::new(&b"{"[..]).next();
        assert!(give.send(bad.unwrap_or_else(|| line(0))).await.is_ok());
        assert!(give.send(line(2)).await.is_ok());
        drop(give);
        let (tell, mut notes) = mpsc::channel(8);
        let changes = outgoing(lines, tell, Arc::new(Semaphore::new(2)));
        let sent: Vec<_> = changes.collect().await;
        assert_eq!(sent.len(), 1);
        assert!(matches!(notes.recv().await, Some(Note::Bad(bad)) if bad.line == 1));
        assert!(matches!(
            notes.recv().await,
            Some(Note::Sent(Sent { line: 2, .. }))
        ));
        assert!(notes.recv().await.is_none());
    }
}
