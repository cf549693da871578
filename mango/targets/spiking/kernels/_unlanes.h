/* Ends what _lanes.h began. */
#undef GROUP
#undef PER
#undef INLINE
#undef VECTOR
#undef LOOSE
#undef MASK
#undef ABOVE
#undef KEEP
#undef DROP
#undef BITS
#undef FMA
#undef NAME
#undef LOAD
#undef STORE
#undef LANES
#undef TARGET
