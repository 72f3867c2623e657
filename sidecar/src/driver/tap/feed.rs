//! Requests for the broker: of the apps whose settings ask for that.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval, sleep},
};

use super::{
    BACKLOG, Driver, TapNews,
    watch::{Losses, Tap},
};
use crate::convert::{TapFilter, TappedRequest};

/// Apps whose requests are told; when more ask for it, the first ones by name.
const MOST: usize = 64;
/// How often it is looked which apps these are, and what was lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is to be told of an app.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which one.
    pub app: Arc<str>,
    /// A request, or that some were left out.
    pub news: TapNews,
}

#[derive(Debug)]
struct Fed {
    /// It ends with this.
    _tap: Tap,
    per_second: u32,
    losses: Arc<Losses>,
}

/// All requests for the broker. With it end their taps.
#[derive(Debug)]
pub struct TapFeed {
    driver: Arc<Driver>,
    apps: BTreeMap<Arc<str>, Fed>,
    to: mpsc::Sender<Arc<TappedRequest>>,
    from: mpsc::Receiver<Arc<TappedRequest>>,
    lost: VecDeque<Told>,
    looks: Interval,
}

impl TapFeed {
    /// What comes next; `None`: no app asks for it any more.
    pub async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some(lost) = self.lost.pop_front() {
                return Some(lost);
            }
            tokio::select! {
                Some(request) = self.from.recv() => {
                    return Some(Told {
                        app: request.app().into(),
                        news: TapNews::Request(request),
                    });
                }
                _ = self.looks.tick() => {
                    self.look();
                    if self.apps.is_empty() {
                        return None;
                    }
                }
            }
        }
    }

    /// Opens and ends taps, as the apps want it now.
    fn look(&mut self) {
        for (app, fed) in &self.apps {
            let lost = fed.losses.take();
            if lost > 0 {
                self.lost.push_back(Told {
                    app: app.clone(),
                    news: TapNews::Lost(lost),
                });
            }
        }
        let wanted: BTreeMap<_, _> = self.driver.apps_for_broker(MOST).into_iter().collect();
        let stays = |app: &Arc<str>, fed: &mut Fed| wanted.get(app) == Some(&fed.per_second);
        self.apps.retain(stays);
        for (app, per_second) in wanted {
            if self.apps.contains_key(&app) {
                continue;
            }
            let filter = TapFilter::all_of(&app, per_second);
            let opened = self.driver.open_tap(filter, true, self.to.clone());
            if let Some((number, losses, _)) = opened {
                let fed = Fed {
                    _tap: Tap::new(self.driver.clone(), number),
                    per_second,
                    losses,
                };
                self.apps.insert(app, fed);
            }
        }
    }
}

impl Driver {
    /// Apps whose requests are for the broker, and how many a second.
    fn apps_for_broker(&self, most: usize) -> Vec<(Arc<str>, u32)> {
        self.act(None, |mesh, _| mesh.told_apps(most))
    }

    /// Returns when there is an app whose requests are for the broker.
    pub async fn until_fed(&self) {
        while self.apps_for_broker(1).is_empty() {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Requests for the broker, from now on.
    pub fn feed(self: &Arc<Self>) -> TapFeed {
        let (to, from) = mpsc::channel(BACKLOG);
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        TapFeed {
            driver: self.clone(),
            apps: BTreeMap::new(),
            to,
            from,
            lost: VecDeque::new(),
            looks,
        }
    }
}
