/* The C peers behind plain functions: libnice's STUN agent and libsrtp's sessions. */
#include <stdint.h>
#include <string.h>

#include <srtp2/srtp.h>
#include <stun/stunagent.h>

static StunAgent stun;

static const uint16_t stun_attributes[] = {
    STUN_ATTRIBUTE_USERNAME,       STUN_ATTRIBUTE_MESSAGE_INTEGRITY, STUN_ATTRIBUTE_PRIORITY,
    STUN_ATTRIBUTE_USE_CANDIDATE,  STUN_ATTRIBUTE_ICE_CONTROLLED,    STUN_ATTRIBUTE_ICE_CONTROLLING,
    STUN_ATTRIBUTE_FINGERPRINT,    STUN_ATTRIBUTE_SOFTWARE,          0,
};

void peer_nice_init(void) {
    stun_agent_init(&stun, stun_attributes, STUN_COMPATIBILITY_RFC5389,
                    STUN_AGENT_USAGE_SHORT_TERM_CREDENTIALS | STUN_AGENT_USAGE_USE_FINGERPRINT |
                        STUN_AGENT_USAGE_FORCE_VALIDATER);
}

static bool give_password(StunAgent *agent, StunMessage *message, uint8_t *user, uint16_t user_len,
                          uint8_t **password, size_t *password_len, void *data) {
    (void)agent, (void)message, (void)user, (void)user_len;
    *password = data;
    *password_len = strlen(data);
    return true;
}

int peer_nice_check(const uint8_t *octets, size_t len, const char *password) {
    StunMessage message;
    return stun_agent_validate(&stun, &message, octets, len, give_password, (void *)password) ==
           STUN_VALIDATION_SUCCESS;
}

size_t peer_nice_sign(uint8_t *out, size_t room, const char *user, const char *password,
                      uint32_t priority, uint64_t tie_breaker) {
    StunMessage message;
    StunTransactionId id;
    size_t len;
    stun_agent_init_request(&stun, &message, out, room, STUN_BINDING);
    stun_message_append_bytes(&message, STUN_ATTRIBUTE_USERNAME, user, strlen(user));
    stun_message_append32(&message, STUN_ATTRIBUTE_PRIORITY, priority);
    stun_message_append64(&message, STUN_ATTRIBUTE_ICE_CONTROLLING, tie_breaker);
    stun_message_append_flag(&message, STUN_ATTRIBUTE_USE_CANDIDATE);
    len = stun_agent_finish_message(&stun, &message, (const uint8_t *)password, strlen(password));
    /* No answer will come: without this the table of transactions fills up. */
    stun_message_id(&message, id);
    stun_agent_forget_transaction(&stun, id);
    return len;
}

/* Suites in the order of the bench's own enumeration. */
void *peer_srtp_new(int suite, int inbound, const uint8_t *key) {
    static void (*const suites[])(srtp_crypto_policy_t *) = {
        srtp_crypto_policy_set_rtp_default,
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
        srtp_crypto_policy_set_aes_cm_256_hmac_sha1_32,
        srtp_crypto_policy_set_aes_gcm_128_16_auth,
        srtp_crypto_policy_set_aes_gcm_256_16_auth,
    };
    static int begun;
    srtp_policy_t policy;
    srtp_t session = NULL;
    if (!begun) {
        srtp_init();
        begun = 1;
    }
    memset(&policy, 0, sizeof policy);
    if (suite < 0 || (size_t)suite >= sizeof suites / sizeof *suites)
        return NULL;
    suites[suite](&policy.rtp);
    suites[suite](&policy.rtcp);
    policy.ssrc.type = inbound ? ssrc_any_inbound : ssrc_any_outbound;
    policy.key = (unsigned char *)key;
    policy.window_size = 128;
    return srtp_create(&session, &policy) == srtp_err_status_ok ? session : NULL;
}

void peer_srtp_free(void *session) { srtp_dealloc((srtp_t)session); }

int peer_srtp_protect(void *session, uint8_t *packet, int *len) {
    return srtp_protect((srtp_t)session, packet, len);
}

int peer_srtp_unprotect(void *session, uint8_t *packet, int *len) {
    return srtp_unprotect((srtp_t)session, packet, len);
}
