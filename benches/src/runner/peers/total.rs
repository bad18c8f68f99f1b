//! What a gateway and its backend used together.

use serde_json::{Value, json};

/// Members of the usage of a process that both processes have in common.
const SHARED: &[&str] = &["at_s", "heartbeats"];

/// Makes `/server` of a report what both processes used, so that it means the same for all servers, and keeps what each used in
/// `/parts`. Does nothing if there was no backend.
pub(super) fn add_up(report: &mut Value) {
    let Some(members) = report.as_object_mut() else { return };
    let Some(backend) = members.remove("backend").filter(|backend| !backend.is_null()) else { return };
    let Some(gateway) = members.remove("server") else { return };
    members.insert("server".into(), total(&gateway, &backend));
    members.insert("parts".into(), json!({ "gateway": gateway, "backend": backend }));
}

/// Numbers are added, those of a list one by one. What only one has, the total has not.
fn total(one: &Value, other: &Value) -> Value {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => match (a.as_u64(), b.as_u64()) {
            (Some(a), Some(b)) => json!(a + b),
            _ => json!(a.as_f64().zip(b.as_f64()).map(|(a, b)| a + b)),
        },
        (Value::Array(a), Value::Array(b)) => a.iter().zip(b).map(|(a, b)| total(a, b)).collect(),
        (Value::Object(a), Value::Object(b)) => {
            let both = a.iter().filter_map(|(name, value)| Some((name, value, b.get(name)?)));
            let add = |(name, a, b): (&String, &Value, &Value)| {
                let sum = if SHARED.contains(&name.as_str()) { a.clone() } else { total(a, b) };
                (name.clone(), sum)
            };
            Value::Object(both.map(add).collect())
        }
        (Value::String(a), Value::String(b)) => json!(format!("{a}; {b}")),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_what_gateway_and_backend_are_together() {
        let usage = |cpu: f64, rss: u64, command: &str| {
            json!({ "cpu_ns_per_message": cpu, "rss_bytes": rss, "heartbeats": 7, "cpu_ns_by_second": [1, rss],
                "timeline": [{ "at_s": 0.5, "cpu_share": 0.25 }], "command": command })
        };
        let mut report =
            json!({ "ok": true, "server": usage(1000.5, 10, "a"), "backend": usage(200.0, 5, "b") });
        add_up(&mut report);
        let both = json!({ "cpu_ns_per_message": 1200.5, "rss_bytes": 15, "heartbeats": 7,
            "cpu_ns_by_second": [2, 15], "timeline": [{ "at_s": 0.5, "cpu_share": 0.5 }], "command": "a; b" });
        let parts = json!({ "gateway": usage(1000.5, 10, "a"), "backend": usage(200.0, 5, "b") });
        assert_eq!(report, json!({ "ok": true, "server": both, "parts": parts }));
    }

    #[test]
    fn a_number_that_one_of_them_does_not_have_is_absent() {
        let mut report =
            json!({ "server": { "quiet_cpu_share": 0.1 }, "backend": { "quiet_cpu_share": null } });
        add_up(&mut report);
        assert_eq!(report["server"], json!({ "quiet_cpu_share": null }));
    }

    #[test]
    fn a_server_of_one_process_stays_as_it_is() {
        for mut report in [json!({ "server": { "rss_bytes": 1 }, "backend": null }), json!({ "ok": false })] {
            let server = report.get("server").cloned();
            add_up(&mut report);
            assert_eq!((report.get("server"), report.get("parts")), (server.as_ref(), None));
        }
    }
}
