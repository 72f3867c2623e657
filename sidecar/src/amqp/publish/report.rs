//! What is told of requests: nobody here waits for what becomes of it.

use lapin::Channel;

use super::{
    Publisher,
    say::{Confirms, say},
};
use crate::{
    amqp::problem::Problem,
    driver::{Said, What, Word},
};

impl Publisher {
    /// One that is lost is said again.
    pub(super) async fn report(
        &self,
        channel: &Channel,
        word: Word,
        log: Option<u128>,
        confirms: &mut Confirms,
    ) -> Result<(), Problem> {
        let Some(report) = self.driver.report(word) else {
            return Ok(());
        };
        let said = Said {
            log,
            change_id: "".into(),
            node: self.node.clone(),
            what: What::Report(report),
        };
        confirms.push(say(channel, &self.names.route, None, &said).await?);
        Ok(())
    }

    pub(super) async fn report_due(
        &self,
        channel: &Channel,
        log: Option<u128>,
        confirms: &mut Confirms,
    ) -> Result<(), Problem> {
        if log.is_none() {
            return Ok(());
        }
        for word in self.driver.words_due() {
            self.report(channel, word, log, confirms).await?;
        }
        Ok(())
    }
}
