/* What a processor's vectors are called. Included once for each instruction set, with LANES and TARGET defined.

   VECTOR  LANES floats          MASK  a truth value for each                LOOSE  floats anywhere in memory
   ABOVE   a > b                 BITS  a mask as the low bits of an integer
   KEEP    m ? x : 0             DROP  m ? 0 : x
   LARGER  of two                SIZE  absolute value                        WHERE  x where the vth LANES bits are 1 */

#define GROUP 16             /* channels of a word */
#define PER (GROUP / LANES)  /* vectors of a group */
#define INLINE TARGET static inline __attribute__((always_inline))

#if LANES == 16
#define VECTOR vector16
#define LOOSE loose16
#define MASK __mmask16
#define ABOVE(a, b) _mm512_cmp_ps_mask((__m512)(a), (__m512)(b), _CMP_GT_OQ)
#define KEEP(m, x) ((VECTOR)_mm512_maskz_mov_ps(m, (__m512)(x)))
#define DROP(m, x) ((VECTOR)_mm512_maskz_mov_ps((__mmask16)~(m), (__m512)(x)))
#define BITS(m) ((uint32_t)(m))
#define LARGER(a, b) ((VECTOR)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define SIZE(x) ((VECTOR)_mm512_abs_ps((__m512)(x)))
#define WHERE(bits, v, x) KEEP(((const loose_word *)(bits))[v], x)
#define STRETCH 128
#define NAME(function) function##_avx512
#elif LANES == 8
#define VECTOR vector8
#define LOOSE loose8
#define MASK __m256
#define ABOVE(a, b) _mm256_cmp_ps((__m256)(a), (__m256)(b), _CMP_GT_OQ)
#define KEEP(m, x) ((VECTOR)_mm256_and_ps(m, (__m256)(x)))
#define DROP(m, x) ((VECTOR)_mm256_andnot_ps(m, (__m256)(x)))
#define BITS(m) ((uint32_t)_mm256_movemask_ps(m))
#define LARGER(a, b) ((VECTOR)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define SIZE(x) ((VECTOR)_mm256_andnot_ps(_mm256_set1_ps(-0.0f), (__m256)(x)))
#define STRETCH 64
#define PLACES _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128)
#define WHERE(bits, v, x) \
    KEEP((__m256)_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((bits)[v]), PLACES), PLACES), x)
#define NAME(function) function##_avx2
#else
#define VECTOR vector4
#define LOOSE loose4
#define MASK truth4
#define ABOVE(a, b) ((truth4)((a) > (b)))
#define KEEP(m, x) ((VECTOR)((m) & (truth4)(x)))
#define DROP(m, x) ((VECTOR)(~(m) & (truth4)(x)))
#define BITS(m) ((uint32_t)((m)[0] & 1) | ((m)[1] & 2) | ((m)[2] & 4) | ((m)[3] & 8))
#define LARGER(a, b) (KEEP(ABOVE(a, b), a) + DROP(ABOVE(a, b), b))
#define SIZE(x) ((VECTOR)((truth4)(x) & 0x7fffffff))
#define STRETCH 16
#define PLACES ((truth4){1, 2, 4, 8} << 4 * (v % 2))
#define WHERE(bits, v, x) KEEP((((truth4){0} + (bits)[(v) / 2]) & PLACES) == PLACES, x)
#define NAME(function) function##_plain
#endif

#define LOAD(place) ((VECTOR)*(const LOOSE *)(place))
#define STORE(place, vector) (*(LOOSE *)(place) = (LOOSE)(vector))
