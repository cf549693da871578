"""Problems that others read: BBOB (24 continuous functions, COCO) and PBO (23 pseudo-Boolean ones, IOHprofiler)."""
