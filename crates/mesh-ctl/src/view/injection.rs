//! The table of `check-inject`.

use super::columns::columns;
use crate::inspect::injection::Verdict;

const PADDING: usize = 1;

/// A row for each webhook.
pub(crate) fn table(verdicts: &[Verdict]) -> String {
    if verdicts.is_empty() {
        return "ERROR: no Istio injection hooks present.\n".to_owned();
    }
    let header = ["WEBHOOK", "REVISION", "INJECTED", "REASON"].map(str::to_owned);
    let rows = verdicts.iter().map(|verdict| {
        let mark = if verdict.injected { "✔" } else { "✘" };
        vec![
            verdict.webhook.clone(),
            verdict.revision.clone(),
            mark.to_owned(),
            verdict.reason.clone(),
        ]
    });
    let rows: Vec<_> = std::iter::once(header.to_vec()).chain(rows).collect();
    let mut text = columns(&rows, PADDING);
    if verdicts.iter().filter(|verdict| verdict.injected).count() > 1 {
        text += "ERROR: multiple webhooks will inject, which can lead to errors\n";
    }
    text
}
