//! TLS contexts.

use super::{NOT_EXECUTED, errors, expect_refusals, served};
use anyhow::Result;
use mesh_model::listener::Listener;
use mesh_xds::json::Pool;
use serde_json::{Value as Json, json};

#[test]
fn tls_is_understood_in_full_or_refused() -> Result<()> {
    let pool = Pool::load();
    let resource = served::<Listener>(&pool, "virtualInbound")?;
    let context = "/filter_chains/6/transport_socket/typed_config";
    let at = "filter_chains[6].transport_socket.typed_config";
    let checks = "common_tls_context/combined_validation_context/default_validation_context";
    let checks_at = "common_tls_context.combined_validation_context.default_validation_context";
    let ca = json!({"inline_string": "x"});
    let rows = [
        ("require_sni", json!(true), NOT_EXECUTED),
        ("ocsp_staple_policy", json!("MUST_STAPLE"), NOT_EXECUTED),
        (
            "common_tls_context/tls_certificates",
            json!([{}]),
            NOT_EXECUTED,
        ),
        (
            "common_tls_context/custom_handshaker",
            json!({"name": "x"}),
            NOT_EXECUTED,
        ),
        (
            "common_tls_context/key_log",
            json!({"path": "/tmp/keys"}),
            NOT_EXECUTED,
        ),
        (
            "common_tls_context/tls_params/ecdh_curves",
            json!(["P-256"]),
            NOT_EXECUTED,
        ),
        (
            "common_tls_context/tls_params/signature_algorithms",
            json!(["x"]),
            NOT_EXECUTED,
        ),
        (
            "common_tls_context/tls_params/tls_minimum_protocol_version",
            json!("TLSv1_0"),
            "TLSv1_0 is not spoken",
        ),
    ];
    for (place, value, what) in rows {
        let found = errors::<Listener>(&pool, &resource, &format!("{context}/{place}"), value)?;
        assert_eq!(found, [format!("{at}.{}: {what}", place.replace('/', "."))]);
    }
    for (field, value) in [
        ("trusted_ca", ca.clone()),
        ("crl", ca),
        ("verify_certificate_hash", json!(["x"])),
        ("verify_certificate_spki", json!(["x"])),
        ("allow_expired_certificate", json!(true)),
        ("trust_chain_verification", json!("ACCEPT_UNTRUSTED")),
        ("custom_validator_config", json!({"name": "x"})),
        (
            "match_typed_subject_alt_names",
            json!([{"san_type": "URI"}]),
        ),
        ("max_verify_depth", json!(1)),
        ("require_signed_certificate_timestamp", json!(true)),
    ] {
        let place = format!("{context}/{checks}/{field}");
        let found = errors::<Listener>(&pool, &resource, &place, value)?;
        assert_eq!(found, [format!("{at}.{checks_at}.{field}: {NOT_EXECUTED}")]);
    }
    Ok(())
}

#[test]
fn secrets_and_peers_are_taken_from_where_they_must_come() -> Result<()> {
    let sds = json!({"name": "other", "sds_config": {"ads": {}}});
    let elsewhere = json!({"name": "other", "sds_config": {"api_config_source": {
        "api_type": "GRPC", "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "somewhere"}}]}}});
    let tls = "/filter_chains/6/transport_socket/typed_config/common_tls_context";
    let at = "filter_chains[6].transport_socket.typed_config.common_tls_context";
    let secret = format!("{tls}/combined_validation_context/validation_context_sds_secret_config");
    let secret_at =
        format!("{at}.combined_validation_context.validation_context_sds_secret_config");
    expect_refusals::<Listener>(
        "virtualInbound",
        vec![
            (
                &secret,
                sds,
                &format!("{secret_at}.sds_config: secrets come from the agent alone"),
            ),
            (
                &secret,
                elsewhere,
                &format!(
                    "{secret_at}.sds_config.api_config_source.grpc_services: \
                     secrets come from `sds-grpc` alone"
                ),
            ),
            (
                &format!("{tls}/combined_validation_context"),
                Json::Null,
                &format!(
                    "{at}: clients must show a certificate, but nothing says how it is checked"
                ),
            ),
            (
                &format!("{tls}/tls_certificate_sds_secret_configs"),
                Json::Null,
                &format!("{at}: a server needs a certificate"),
            ),
            (
                &format!(
                    "{tls}/combined_validation_context/default_validation_context/match_subject_alt_names/0"
                ),
                json!({"prefix": ""}),
                &format!(
                    "{at}.combined_validation_context.default_validation_context\
                     .match_subject_alt_names[0]: an empty text matches everything"
                ),
            ),
            (
                &format!(
                    "{tls}/combined_validation_context/default_validation_context/match_subject_alt_names/0"
                ),
                json!({"safe_regex": {"regex": "("}}),
                &format!(
                    "{at}.combined_validation_context.default_validation_context\
                     .match_subject_alt_names[0].safe_regex.regex: \"(\" is no regular expression of \
                     ASCII text"
                ),
            ),
            (
                &format!("{tls}/tls_params/cipher_suites/0"),
                json!("RC4-MD5"),
                &format!(
                    "{at}.tls_params.cipher_suites[0]: there is no cipher suite \"RC4-MD5\" here"
                ),
            ),
            (
                "/filter_chains/6/transport_socket/typed_config",
                json!({"@type": "type.googleapis.com/envoy.extensions.transport_sockets.starttls.v3.StartTlsConfig"}),
                "filter_chains[6].transport_socket.typed_config: this proxy does not execute \
                 envoy.extensions.transport_sockets.starttls.v3.StartTlsConfig",
            ),
        ],
    )
}
