/* net/gate.c - see net/gate.h. SPDX-License-Identifier:
 * Apache-2.0
 */
#include "net/gate.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

#define COMPLAINT_NS FW_NS_PER_S /* between two lines */

static bool is_exempt(const fw_net *net, const fw_connection *connection)
{
    return net->token_exempt == FW_EXEMPT_ALL_JSON ||
           (net->token_exempt == FW_EXEMPT_LOOPBACK && fw_connection_is_local(connection));
}

bool fw_gate_admits_json(fw_net *net, fw_connection *connection)
{
    if (FW_LIKELY(!net->asked.asked))
        return true;
    fw_standing standing = fw_connection_standing(connection);
    if (standing == FW_STANDING_NONE && is_exempt(net, connection))
        fw_connection_set_standing(connection, standing = FW_STANDING_EXEMPT);
    return standing >= FW_STANDING_EXEMPT;
}

bool fw_gate_admits_frames(fw_net *net, fw_connection *connection)
{
    return FW_LIKELY(!net->asked.asked) ||
           fw_connection_standing(connection) == FW_STANDING_ADMITTED;
}

bool fw_gate_present(fw_net *net, fw_connection *connection, fw_span token)
{
    if (!fw_token_is(&net->asked, token))
        return false;
    fw_connection_set_standing(connection, FW_STANDING_ADMITTED);
    return true;
}

void fw_gate_complain(fw_net *net, fw_connection *connection)
{
    if (fw_connection_standing(connection) != FW_STANDING_NONE)
        return;
    fw_connection_set_standing(connection, FW_STANDING_REFUSED);
    int64_t now = fw_now_ns();
    /* Relaxed: who wins writes the line. */
    int64_t last = fw_load_relaxed(&net->complained_ns);
    if (now - last < COMPLAINT_NS || !fw_cas_relaxed(&net->complained_ns, &last, now))
        return;
    char peer[FW_PEER_MAX];
    fw_connection_peer(connection, peer);
    fw_log(FW_LOG_WARN, "net.token", "%s: refused: it told no token, or a wrong one", peer);
}
