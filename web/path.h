/* web/path.h - text of URLs: which pattern a path fits, and what its parts mean. Pure; any thread.
 *
 * Paths are matched as they were sent and decoded after, so that an encoded '/' or ':' is a letter
 * of a name and never part of the pattern. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_WEB_PATH_H
#define FW_WEB_PATH_H

#include "web/web.h"

/* Whether path fits, up to a '?' in the pattern; params: the parts, not decoded. */
bool fw_web_path_match(const char *pattern, fw_span path, fw_web_pair params[FW_WEB_PARAMS_MAX],
                       size_t *count);
/* Decodes in place of *at, which moves on; *text becomes the decoded one. False: a bad escape, not
 * UTF-8, or a control character. */
bool fw_web_decode(char **at, fw_span *text, bool is_query);
/* Splits "a=1&b=2" into pairs that are not decoded. False: too many. */
bool fw_web_query_split(fw_span query, fw_web_pair pairs[FW_WEB_QUERY_MAX], size_t *count);

#endif
