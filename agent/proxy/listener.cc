// SPDX-License-Identifier: Apache-2.0
#include "agent/proxy/listener.h"

namespace sluice::proxy {

void TcpListener::start() { worker_->loop().accept(fd_.get(), accept_); }

void TcpListener::close()
{
    closing_ = true;
    worker_->loop().disarm(pause_);
    worker_->loop().cancel(accept_);
}

void TcpListener::resume()
{
    if (closing_ || accept_.pending())
        return;
    if (worker_->full())
        worker_->loop().arm(pause_, kPauseMs);
    else
        start();
}

void TcpListener::on_accept(int result, Buffer)
{
    if (result >= 0) {
        worker_->on_accepted(UniqueFd(result));
        if (worker_->full() && accept_.pending())
            worker_->loop().cancel(accept_);
        return;
    }
    if (closing_)
        return;
    worker_->hit(worker_->full() ? Limit::Connections : Limit::Descriptors);
    worker_->loop().arm(pause_, kPauseMs);  // until something has ended
}

}  // namespace sluice::proxy
