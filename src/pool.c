#include "pool.h"
void rp_pool_run(rp_pool *pool, size_t items, size_t grain, rp_pool_work *work, void *user) {
    (void)pool, (void)grain;
    work(user, 0, items, 0);
}
