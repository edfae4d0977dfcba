/* Floats to the weight types that files store. The formats are ggml's (ggml-quants.c); the searches for scales follow
 * its reference quantizers, so that the errors are as small as theirs. */
#ifndef RP_QUANTIZE_H
#define RP_QUANTIZE_H

#include "../quant.h"

/* F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q8_0, Q4_K, Q6_K. */
bool rp_can_quantize(rp_type type);
/* One row of `columns` floats (a multiple of the type's block) as the file stores it: rp_row_file_bytes(type, columns)
 * bytes. Values beyond 65504 from zero, infinities and NaN are the caller's to refuse; F32 and BF16 take any. */
void rp_quantize_row(rp_type type, size_t columns, const float *values, uint8_t *row);

/* quantize_k.c: one block of 256 floats, as 144 and 210 bytes. */
void rp_quantize_block_q4_k(const float *values, uint8_t *block);
void rp_quantize_block_q6_k(const float *values, uint8_t *block);

#endif
