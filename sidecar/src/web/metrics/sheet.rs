//! Series, one after the other.

use std::fmt::Result;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use crate::{convert::BOUNDS_MS, driver::Spread};

/// What they are written on.
pub(super) struct Sheet<'a>(pub(super) DescriptorEncoder<'a>);

/// What a series is called, what it is measured in, and what it means.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) unit: Option<Unit>,
    pub(super) help: &'static str,
}

/// A series that is a number of something.
pub(super) const fn plain(name: &'static str, help: &'static str) -> Series {
    let unit = None;
    Series { name, unit, help }
}

/// One in seconds.
pub(super) const fn seconds(name: &'static str, help: &'static str) -> Series {
    let unit = Some(Unit::Seconds);
    Series { name, unit, help }
}

/// One in bytes.
pub(super) const fn bytes(name: &'static str, help: &'static str) -> Series {
    let unit = Some(Unit::Bytes);
    Series { name, unit, help }
}

/// No label.
pub(super) const BARE: [(&str, &str); 0] = [];

impl Sheet<'_> {
    /// What only grows.
    pub(super) fn counter<L: EncodeLabelSet>(
        &mut self,
        series: &Series,
        rows: impl IntoIterator<Item = (L, u64)>,
    ) -> Result {
        let Series { name, unit, help } = series;
        let kind = MetricType::Counter;
        let mut out = self.0.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (labels, value) in rows {
            let mut row = out.encode_family(&labels)?;
            row.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// What goes up and down.
    pub(super) fn gauge<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        series: &Series,
        rows: impl IntoIterator<Item = (L, V)>,
    ) -> Result {
        let Series { name, unit, help } = series;
        let kind = MetricType::Gauge;
        let mut out = self.0.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (labels, value) in rows {
            out.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// How many took how long.
    pub(super) fn histogram<'s, L: EncodeLabelSet>(
        &mut self,
        series: &Series,
        rows: impl IntoIterator<Item = (L, &'s Spread)>,
    ) -> Result {
        let Series { name, unit, help } = series;
        let kind = MetricType::Histogram;
        let mut out = self.0.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (labels, spread) in rows {
            let sum = in_seconds(spread.sum_ms);
            let bounds = BOUNDS_MS.map(|bound| in_seconds(bound.into()));
            let bounds = bounds.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(spread.counts).collect();
            let mut row = out.encode_family(&labels)?;
            row.encode_histogram::<NoLabelSet>(sum, spread.count(), &buckets, None)?;
        }
        Ok(())
    }
}

fn in_seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}
