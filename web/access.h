/* web/access.h - who may do what: keys and their roles, and pages of other origins. Pure.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_ACCESS_H
#define FW_WEB_ACCESS_H

#include "web/web.h"

/* What the authorization grants, a set of fw_web_role. who: its name; "anybody" for no key or a
 * wrong one. How long it takes tells nothing of the keys. */
unsigned fw_web_access_roles(const fw_web_config *config, fw_span authorization, const char **who);
/* Whether any key is set: then 401 makes sense. */
bool fw_web_access_has_keys(const fw_web_config *config);
/* Whether the server is meant by that Host: an address, localhost, or a name of the list. A page
 * of elsewhere whose name was made to lead here (DNS rebinding) comes under another one. */
bool fw_web_access_host(const char *list, fw_span host);
/* Whether a page of that origin may read: then out is what it is told. */
bool fw_web_access_origin(const char *list, fw_span origin, char *out, size_t capacity);
/* Whether a request that changes something comes from a page of somebody else. Browsers say where
 * a request is from (Sec-Fetch-Site; older ones Origin), and what is no browser says neither. */
bool fw_web_access_is_foreign(const fw_web_config *config, const fw_web_request *request);

#endif
